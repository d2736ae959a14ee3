"""The trainables that ship with the project; each package is its own light descriptor."""
