"""The ping-pong of tests/bench/ping_pong.rs in SimPy: 1,000 clients and a server, every message one event.

    simpy_ping_pong.py timeouts|stores N_EVENTS

`timeouts`: each pair is a process that waits for one message after the other, the least that SimPy can do.
`stores`: every player is a process with a mailbox, and a message is put into it after its delay.

Prints messages per second.
"""

import sys
import time

import simpy

N_CLIENTS = 1000


def delay(client_id):
    return 1000 + client_id * 7919 % 997


class Game:
    def __init__(self, n_events):
        self.env = simpy.Environment()
        self.left = n_events
        self.over = self.env.event()

    def count(self):
        self.left -= 1
        if self.left == 0:
            self.over.succeed()

    def pair(self, client_id):
        while True:
            yield self.env.timeout(delay(client_id))  # to the client
            self.count()
            yield self.env.timeout(delay(client_id))  # and back
            self.count()

    def send(self, store, client_id):
        def deliver(_):
            store.put(client_id)

        self.env.timeout(delay(client_id)).callbacks.append(deliver)

    def client(self, mine, servers):
        while True:
            client_id = yield mine.get()
            self.count()
            self.send(servers, client_id)

    def server(self, mine, clients):
        while True:
            client_id = yield mine.get()
            self.count()
            self.send(clients[client_id], client_id)


def main():
    kind, n_events = sys.argv[1], int(sys.argv[2])
    game = Game(n_events)
    if kind == "timeouts":
        for client_id in range(N_CLIENTS):
            game.env.process(game.pair(client_id))
    else:
        servers = simpy.Store(game.env)
        clients = [simpy.Store(game.env) for _ in range(N_CLIENTS)]
        game.env.process(game.server(servers, clients))
        for client_id, mine in enumerate(clients):
            game.env.process(game.client(mine, servers))
            game.send(mine, client_id)
    start = time.perf_counter()
    game.env.run(until=game.over)
    print(n_events / (time.perf_counter() - start))


main()
