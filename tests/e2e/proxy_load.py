"""Load for the fault proxy's own tests, in processes of their own so that their CPU time is not the proxy's.

    proxy_load.py server                        prints {"endpoint": ...}, answers until its standard input ends
    proxy_load.py requests|upload|download URL  prints what was done, and in how many seconds
"""
import asyncio
import json
import sys
import time
import urllib.parse

BLOCK = bytes(256 << 10)
REQUESTS, CONNECTIONS = 10000, 200
LARGE, STREAMS = 256 << 20, 4


async def serve_one(reader, writer):
    """GET /N: N bytes. PUT: reads the body."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            size = int(head.split(b" ")[1].strip(b"/") or 0)
            while length:
                length -= len(await reader.read(min(length, len(BLOCK))))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            while size:
                writer.write(BLOCK[:size])
                size -= min(size, len(BLOCK))
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def serve():
    server = await asyncio.start_server(serve_one, "127.0.0.1", 0, limit=1 << 20, backlog=1024)
    print(json.dumps({"endpoint": "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def answer_of(reader):
    """Reads one answer; returns the bytes of its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    size = left = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while left:
        got = len(await reader.read(min(left, 1 << 20)))
        assert got
        left -= got
    return size


async def small(place, count):
    reader, writer = await asyncio.open_connection(*place)
    for _ in range(count):
        writer.write(b"GET /100 HTTP/1.1\r\nHost: h\r\nAuthorization: x\r\n\r\n")
        assert await answer_of(reader) == 100
    writer.close()
    return count


async def large(place, kind):
    reader, writer = await asyncio.open_connection(*place, limit=1 << 20)
    if kind == "download":
        writer.write(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % LARGE)
        done = await answer_of(reader)
    else:
        writer.write(b"PUT /0 HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % LARGE)
        for _ in range(LARGE // len(BLOCK)):
            writer.write(BLOCK)
            await writer.drain()
        await answer_of(reader)
        done = LARGE
    writer.close()
    return done


async def ask(kind, url):
    parts = urllib.parse.urlsplit(url)
    place, begin = (parts.hostname, parts.port), time.monotonic()
    if kind == "requests":
        done = {"done": sum(await asyncio.gather(*[small(place, REQUESTS // CONNECTIONS) for _ in range(CONNECTIONS)]))}
    else:
        done = {"bytes": sum(await asyncio.gather(*[large(place, kind) for _ in range(STREAMS)]))}
    print(json.dumps({**done, "seconds": time.monotonic() - begin}))


if __name__ == "__main__":
    asyncio.run(serve() if sys.argv[1] == "server" else ask(sys.argv[1], sys.argv[2]))
