"""In which order a batch goes: frame, parse, enrich, classify and mask, detect, encode."""
