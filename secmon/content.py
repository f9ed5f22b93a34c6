"""Reads rules, classifiers, playbooks and frameworks: shipped folders first, then the operator's overlays."""
