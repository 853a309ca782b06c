"""kube-apiserver's patience: what a request over HTTPS has to wait for, it waits for on a thread of its own.

Interface: `ask(transport, call)`, the apiserver's answer; `waited_for(work)`.
The rule not to break: whoever waits for a webhook takes none of the threads that serve others.
Real Kubernetes has a goroutine for every request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from k8snb.client import Deferred, Request, Transport
from k8snb.executor import ThreadExecutor


async def ask(transport: Transport, call: Request, workers: Executor | None = None) -> Any:
    """The answer to a call. Raises ApiError."""
    call.patient = False
    answer = await asyncio.get_running_loop().run_in_executor(workers, transport.handle, call)
    return await waited_for(answer.run) if isinstance(answer, Deferred) else answer


def waited_for(work: Callable[[], Any]) -> asyncio.Future[Any]:
    """What `work()` gives or raises, once it is over."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def done(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def post(callback: Callable[[], None]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(callback)

    ThreadExecutor(post).submit(work, done, waits=True)
    return future
