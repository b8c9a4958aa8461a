"""The examples of an application with a loop of its own: they echo, their own timer ticks
meanwhile, and when they are told to end they end by themselves, with nothing left in their loop.

Called with the path of the executable. The last line is `N passed, 0 failed`.
"""

import asyncio
import re
import signal
import sys

import websockets

PATIENCE = 30  # seconds; only bounds a wait for something that has to happen


async def main(program):
    process = await asyncio.create_subprocess_exec(program, stdout=asyncio.subprocess.PIPE)
    checks = 0
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), PATIENCE)).decode()
        port = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line)[1]
        async with websockets.connect(f"ws://127.0.0.1:{port}/") as peer, \
                websockets.connect(f"ws://127.0.0.1:{port}/") as other:
            await peer.send("hello, loop")
            ticks, echoed = [], False
            while len(ticks) < 3 or not echoed:
                message = await asyncio.wait_for(peer.recv(), PATIENCE)
                if message == "hello, loop":
                    echoed = True
                else:
                    ticks.append(int(message))
            assert ticks == list(range(ticks[0], ticks[0] + len(ticks))), ticks
            checks += 2
            process.send_signal(signal.SIGTERM)
            for each in (peer, other):
                await asyncio.wait_for(each.wait_closed(), PATIENCE)
                assert each.close_code == 1001, each.close_code
                checks += 1
        status = await asyncio.wait_for(process.wait(), PATIENCE)
        assert status == 0, status
        checks += 1
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    print(f"{checks} passed, 0 failed")


asyncio.run(main(sys.argv[1]))
