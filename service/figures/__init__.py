"""Figures: pure functions from data to what plotly's JavaScript takes. No plotly is needed.

Texts that come from users are escaped, since plotly reads some HTML in every text.
"""
