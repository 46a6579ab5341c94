"""What breaks around a server, really broken: its database, its disk, its processes, its upgrade.

Each fault is told in build/faults.txt, with the state of the database before and after it.
"""
