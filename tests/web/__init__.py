"""Tests of the web room: real HTTP through ASGI, and some over real sockets."""
