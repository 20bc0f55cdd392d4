import type { CertificatePair } from "../../lib/quic/server.ts";

/**
 * A self-signed certificate for 127.0.0.1 that is valid until 2126, for clients other than browsers:
 * those want one of at most 14 days.
 */
export const TEST_PAIR: CertificatePair = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUElz+LDNTXsP1h46FehDdOY4zBCEwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEd2VpcjAgFw0yNjExMzAxMTA5NDhaGA8yMTI2MTEwNjExMDk0
OFowDzENMAsGA1UEAwwEd2VpcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNJ9
amFXVvBoCExvj24ln6PhdNTrTum+ZnZLjEqBr24budwQFc7JWlPcDyKEuyRq8xur
78bEjLa5aLp46xy6xsKjYTBfMB0GA1UdDgQWBBQ302091tL96LjRTt6V8zrZbrCX
uTAfBgNVHSMEGDAWgBQ302091tL96LjRTt6V8zrZbrCXuTAPBgNVHREECDAGhwR/
AAABMAwGA1UdEwEB/wQCMAAwCgYIKoZIzj0EAwIDSAAwRQIgAlstIuKs61vc2C54
bl1yLmBp12rG7PFOrLarwzX1uNoCIQC5spGup9a5Pdthv9GMQs5BtypSikxY6zuS
2O4fZgi49A==
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/RrwuhdAVC3sF81E
laUzRdDM5YJKqx20ohl+h1dofw6hRANCAATSfWphV1bwaAhMb49uJZ+j4XTU607p
vmZ2S4xKga9uG7ncEBXOyVpT3A8ihLskavMbq+/GxIy2uWi6eOscusbC
-----END PRIVATE KEY-----
`,
};

/** Returns the SHA-256 of a certificate, which clients of WebTransport can trust. */
export async function certificateHash({ cert }: CertificatePair): Promise<WebTransportHash> {
  const [, base64 = ""] = /-----BEGIN CERTIFICATE-----([^-]+)/.exec(cert) ?? [];
  const der = Uint8Array.from(atob(base64.replaceAll(/\s/g, "")), (c) => c.charCodeAt(0));
  return { algorithm: "sha-256", value: await crypto.subtle.digest("SHA-256", der) };
}
