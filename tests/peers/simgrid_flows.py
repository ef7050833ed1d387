"""Flows over one server's link under SimGrid's CM02 model, for `cargo bench --bench flows`.

Input, on stdin: a line `server_bytes_per_s`, then a line `start_s client_bytes_per_s bytes` for each flow, by rising start.
Output: a line `seconds` of host time that the simulation took without building the platform, then each flow's end in seconds.

Written for SimGrid 3.32 (Debian: python3-simgrid), whose links here have no latency, no cross-traffic and no TCP window.
"""

import sys
import time

from simgrid import Actor, Comm, Engine, LinkInRoute, NetZone, this_actor

SETTINGS = [
    "network/model:CM02",
    "network/crosstraffic:0",
    "network/TCP-gamma:0",
    "network/weight-S:0",
    "surf/precision:1e-12",
    "maxmin/precision:1e-12",
    "maxmin/concurrency-limit:-1",
]


def main():
    lines = sys.stdin.read().split("\n")
    server_rate = float(lines[0])
    flows = [line.split() for line in lines[1:] if line]
    flows = [(float(start), float(rate), int(size)) for start, rate, size in flows]

    engine = Engine(["flows", "--log=root.threshold:error"] + [f"--cfg={setting}" for setting in SETTINGS])
    zone = NetZone.create_star_zone("world")

    def host(name, rate):
        made = zone.create_host(name, 1e9)
        link = zone.create_link(f"link-{name}", rate)
        link.set_latency(0)
        link.seal()
        zone.add_route(made.netpoint, None, None, None, [LinkInRoute(link)], True)
        return made

    server = host("server", server_rate)
    clients = [host(f"client-{number}", rate) for number, (_, rate, _) in enumerate(flows)]
    zone.seal()
    ends = []

    def driver():
        comms = []
        for (start, _, size), client in zip(flows, clients):
            this_actor.sleep_until(start)
            comms.append(Comm.sendto_async(server, client, size))
        for comm in comms:
            comm.wait()
        ends.extend(comm.finish_time for comm in comms)

    Actor.create("driver", server, driver)
    begin = time.perf_counter()
    engine.run()
    seconds = time.perf_counter() - begin
    print(repr(seconds))
    print("\n".join(repr(end) for end in ends))


main()
