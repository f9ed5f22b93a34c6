"""When things happen: scheduler, processes, signals, health, the control socket."""
