"""Sigma: rules, matching, correlations. match.py is the definition, index.py the fast engine. Pure."""
