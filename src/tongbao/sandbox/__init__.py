"""The sandbox: demo parties and keys, credentials for real clients, scripted outcomes, faults, time travel.

Must never be reachable in production, and never decide: it calls the same use cases as everybody else.
"""
