"""`cache`: what a hit costs, what caching costs a miss, how long hits take."""

import cache_hits
import cache_latency
import cache_misses

REQUESTS = 100_000


def run(fleet, args):
    if args.requests is None:
        args.requests = REQUESTS

    def wanted(name):
        return not args.only or any(word in name for word in args.only)
    return {"hits": cache_hits.run(fleet, args, wanted), "misses": cache_misses.run(fleet, args, wanted),
            "latency": cache_latency.run(fleet, args, wanted)}
