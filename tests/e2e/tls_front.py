"""TLS before a test server: certificates of a test's own authority, made on the spot, and a front that shows one."""
import asyncio
import contextlib
import ssl
import subprocess
import threading
import urllib.parse

CA_SETTINGS = """
[ca]
default_ca = own
[own]
new_certs_dir = .
database = index.txt
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
"""


class Authority:
    """Signs certificates. `bundle` is the file that a client has to trust."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        (directory / "index.txt").touch()
        (directory / "settings").write_text(CA_SETTINGS)
        self.bundle = directory / "authority.pem"
        self._openssl("req", "-x509", "-subj", "/CN=authority of a test", "-days", "1", *self._new_key("authority"),
                      "-out", "authority.pem")

    def sign(self, name, subject, start="20200101000000Z", end="20991231235959Z"):
        """Key and certificate of a server, as a file; `subject` e.g. "IP:127.0.0.1"."""
        (self.directory / f"{name}.ext").write_text(f"subjectAltName={subject}\n")
        self._openssl("req", "-subj", f"/CN={name}", *self._new_key(name), "-out", f"{name}.csr")
        self._openssl("ca", "-batch", "-notext", "-config", "settings", "-cert", "authority.pem",
                      "-keyfile", "authority.key", "-extfile", f"{name}.ext", "-startdate", start, "-enddate", end,
                      "-in", f"{name}.csr", "-out", f"{name}.crt")
        path = self.directory / f"{name}.pem"
        path.write_text("".join((self.directory / f"{name}.{kind}").read_text() for kind in ("key", "crt")))
        return path

    @staticmethod
    def _new_key(name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)


class TlsFront:
    """Takes TLS off connections and passes what is in them on to a server, in a thread of its own."""

    def __init__(self, server, certificate):
        place = urllib.parse.urlsplit(server)
        self._server = (place.hostname, place.port)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._loop, self._ready = asyncio.new_event_loop(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.connections = 0  # whose handshake went well
        self.endpoint = None

    def __enter__(self):
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda loop, context: None)  # handshakes that a client breaks off
        listener = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context))
        self.endpoint = "https://127.0.0.1:%d" % listener.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader, writer):
        self.connections += 1
        with contextlib.suppress(OSError):
            to_server = await asyncio.open_connection(*self._server)
            await asyncio.gather(self._pass(reader, to_server[1]), self._pass(to_server[0], writer))

    @staticmethod
    async def _pass(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()
