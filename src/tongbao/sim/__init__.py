"""The seeded world: platform, worker, shops, banks, buyers and an attacker in one process, one thread, from one number.

Everything that could differ between two runs (time, chance, the order of tasks, the network, failures) is drawn from
the seed. Must never reach ``tongbao.runtime``, read a real clock, start a thread or open a socket.
"""
