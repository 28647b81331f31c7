//! This package is empty: its dependencies contain C sources.
