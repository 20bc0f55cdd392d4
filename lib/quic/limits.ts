/**
 * Streams that a client may have open at once, of each direction. Guards against memory: QUIC
 * buffers up to 1.25 MB of each that is not read. The control and QPACK streams are among them.
 */
export const MAX_STREAMS = 16;

/**
 * Streams of a session that wait for it to be accepted; further ones are refused. Guards against
 * memory that a client without any rights could take: QUIC buffers what comes on them.
 */
export const MAX_EARLY_STREAMS = 4;

/**
 * Milliseconds without a packet until the peer is known to have vanished. QUIC counts them from the
 * next packet that keeps the connection open, so it takes up to {@link KEEP_ALIVE_MS} longer.
 */
export const IDLE_TIMEOUT_MS = 7_500;

/** Milliseconds between two packets that keep a quiet connection open, also through NATs. */
export const KEEP_ALIVE_MS = 3_000;

/**
 * Milliseconds for the handshake and the CONNECT, and again until that is accepted or refused.
 * Guards against peers that hold connections and never open a session.
 */
export const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Milliseconds for a client to close the QUIC connection after its request was refused or its
 * session closed. An answer that is still under way would be lost if it was closed at once.
 */
export const CLOSE_GRACE_MS = 500;

/** Connections without an accepted session, per client. Guards the {@link MAX_OPENING} of others. */
export const MAX_OPENING_PER_CLIENT = 256;

/** Connections without an accepted session. Guards against floods of handshakes. */
export const MAX_OPENING = 2_048;

/**
 * Datagrams that wait for room in QUIC's buffer. Further ones are dropped. Guards against a client
 * that takes none.
 */
export const MAX_WAITING_DATAGRAMS = 256;

/** Bytes of a request stream that are read at once: a close capsule, so that none is cut in two. */
export const REQUEST_READ_BYTES = 2_048;

/** Bytes of a control or QPACK stream that are read at once. */
export const CONTROL_READ_BYTES = 256;
