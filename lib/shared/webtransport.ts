/**
 * A client acknowledges what it has taken from event streams each time that this many bytes have
 * been added. Smaller steps cost more messages; larger ones leave the server less to send.
 */
export const RECEIVED_STEP_BYTES = 32 * 1024;

/**
 * Bytes of a message that is sent as a datagram; larger ones go over a stream. Each QUIC packet has
 * room for about as many on every path (RFC 9000, section 14.1).
 */
export const MAX_DATAGRAM_BYTES = 1_200;
