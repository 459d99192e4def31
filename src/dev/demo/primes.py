"""Counts the primes below a number, and draws how the gaps between them grow."""

import os
import sys


def primes_below(limit):
    sieve = bytearray([1]) * limit
    sieve[:2] = b"\0\0"
    for number in range(2, int(limit**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, limit, number)))
    return [number for number in range(limit) if sieve[number]]


limit = int(sys.argv[1])
primes = primes_below(limit)
print(f"in {os.getcwd()}, Python {sys.version.split()[0]}")
power = 10
while power <= limit:
    part = [prime for prime in primes if prime < power]
    gap = max(after - before for before, after in zip(part, part[1:]))
    print(f"below {power:>8}: {len(part):>6} primes, longest gap {'#' * (gap // 2)} {gap}")
    power *= 10
print(f"{len(primes)} primes below {limit}")
