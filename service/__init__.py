"""The server: a REST API over a SQL store, and the dispatcher that starts drivers."""
