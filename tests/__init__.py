"""The tests of perflib; a package, because some distributions install a `tests` of their own."""
