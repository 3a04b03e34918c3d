"""Tests of the room with windows: real sockets on loopback, real files, nothing replaced."""
