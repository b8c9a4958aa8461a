"""Certificates for a test, made by the openssl command when they are needed: none can expire here."""

import pathlib
import subprocess
import tempfile

OPENSSL = "/usr/bin/openssl"
LOCALHOST = "DNS:localhost,IP:127.0.0.1"


class Folder:
    """Where an issuer keeps its certificates: PEM files, each with its key in it."""

    def __init__(self, cleanup):
        self._path = pathlib.Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        self.issuer = self._make("issuer", "basicConstraints=critical,CA:TRUE", days=1, by=None)

    def certificate(self, name, names=LOCALHOST, days=1):
        """By the issuer; one with negative days has expired."""
        return self._make(name, f"subjectAltName={names}", days, self.issuer)

    def self_signed(self, name):
        return self._make(name, f"subjectAltName={LOCALHOST}", days=1, by=None)

    def _make(self, name, extension, days, by):
        def run(*arguments):
            subprocess.run([OPENSSL, *map(str, arguments)], check=True, capture_output=True)

        key, request, extensions = (self._path / f"{name}.{kind}" for kind in ("key", "csr", "ext"))
        certificate, both = self._path / f"{name}.crt", self._path / f"{name}.pem"
        run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        extensions.write_text(extension)
        signer = ("-CA", by, "-CAkey", by) if by else ("-signkey", key)
        run("x509", "-req", "-in", request, "-days", days, "-extfile", extensions, *signer,
            "-out", certificate)
        both.write_bytes(certificate.read_bytes() + key.read_bytes())
        return str(both)
