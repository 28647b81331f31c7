//! Nothing: this package names others, for their sources.
