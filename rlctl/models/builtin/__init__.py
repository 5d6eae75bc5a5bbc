"""Small models that come with the package: one folder each, with its files and an account of what it is."""
