/** The path of WebTransport connections. */
export const WEBTRANSPORT_PATH = "/v1/webtransport";
