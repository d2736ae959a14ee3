"""Filters and sorts over trials: text to tree, and the tree evaluated."""
