"""The library's side: users of do-app-sandbox's SandboxManager, as its README shows them.

Argument 1 is a JSON file with what to do (see `library.rs`), argument 2 where to write what happened, one JSON object a
line. Times in both are simulated seconds since the start.
"""

import asyncio
import concurrent.futures
import json
import subprocess
import sys
import time

from do_app_sandbox import PoolConfig, SandboxManager, SandboxMode

IMAGE = "python"


def quicken(speed):
    """Lets the library's clock, waits and time-outs run so many times faster. At speed 1 nothing is touched."""
    if speed == 1:
        return
    now, sleep, asleep, run = time.time, time.sleep, asyncio.sleep, subprocess.run
    began = now()
    time.time = lambda: began + (now() - began) * speed
    time.sleep = lambda seconds: sleep(seconds / speed)
    asyncio.sleep = lambda seconds, *rest: asleep(seconds / speed, *rest)

    def quick_run(*arguments, timeout=None, **options):
        return run(*arguments, timeout=timeout and timeout / speed, **options)

    subprocess.run = quick_run


class Users:
    """Everybody who wants a sandbox."""

    def __init__(self, wanted, begins_in, out):
        self.wanted, self.out = wanted, out
        self.speed = wanted["speed"]
        self.began = time.monotonic() + begins_in
        pool = PoolConfig(
            target_ready=wanted["target"], max_ready=wanted["cap"], max_warm_age=wanted["maxWarmAge"]
        )
        defaults = {"region": wanted["region"], "instance_size": wanted["size"], "mode": SandboxMode.SERVICE}
        self.manager = SandboxManager(
            pools={IMAGE: pool},
            max_total_sandboxes=wanted["cap"],
            max_concurrent_creates=wanted["cap"],
            sandbox_defaults=defaults,
        )

    def now(self):
        """Simulated seconds since the start."""
        return (time.monotonic() - self.began) * self.speed

    async def until(self, moment):
        # In steps: the loop is late where the library blocked it.
        while (left := moment - self.now()) > 0:
            await asyncio.sleep(left)

    def tell(self, **event):
        self.out.write(json.dumps({"at": self.now(), **event}) + "\n")
        self.out.flush()

    async def get(self, number, patience):
        """Asks until there is one. A call on its way is never cancelled: the library would lose its app."""
        while True:
            try:
                return await self.manager.acquire(image=IMAGE)
            except Exception as error:
                self.tell(event="refused", number=number, why=f"{type(error).__name__}: {error}"[:300])
            if self.now() >= patience:
                return None
            await asyncio.sleep(self.wanted["askAgain"])

    async def use(self, number, at, hold):
        await self.until(at)
        patience = min(at + self.wanted["patience"], self.wanted["ends"])
        sandbox = await self.get(number, patience)
        if sandbox is None or self.now() > patience:
            self.tell(event="gaveUp", number=number)
        else:
            self.tell(event="acquired", number=number, warm=sandbox._from_pool, app=sandbox.app_id)
            await self.until(min(self.now() + hold, self.wanted["ends"]))
        if sandbox is not None:
            await self.delete(number, sandbox)

    async def delete(self, number, sandbox):
        try:
            await asyncio.to_thread(sandbox.delete)
        except Exception as error:
            self.tell(event="deleteFailed", number=number, why=f"{type(error).__name__}: {error}"[:300])
        self.manager.release(sandbox, IMAGE)

    async def run(self):
        # As many threads as there is work: the default depends on the machine's cores.
        executor = concurrent.futures.ThreadPoolExecutor(64)
        asyncio.get_running_loop().set_default_executor(executor)
        if self.now() > 0:
            raise RuntimeError(f"late by {self.now()} simulated seconds")
        await self.until(0)
        await self.manager.start()
        users = [self.use(number, user["at"], user["hold"]) for number, user in enumerate(self.wanted["users"])]
        await asyncio.gather(*users)
        await self.until(self.wanted["ends"])
        await self.shutdown()
        metrics = self.manager._pools[IMAGE].get_metrics()
        self.tell(event="metrics", **vars(metrics))

    async def shutdown(self):
        """The documented way to end, with ten times its default patience."""
        try:
            await self.manager.shutdown(timeout=300 / self.speed)
            self.tell(event="shutDown", clean=True)
        except Exception as error:
            self.tell(event="shutDown", clean=False, why=f"{type(error).__name__}: {error}"[:300])


def main():
    with open(sys.argv[1], encoding="utf-8") as wanted, open(sys.argv[2], "w", encoding="utf-8") as out:
        wanted = json.load(wanted)
        begins_in = wanted["startsAt"] - time.time()
        quicken(wanted["speed"])
        asyncio.run(Users(wanted, begins_in, out).run())


main()
