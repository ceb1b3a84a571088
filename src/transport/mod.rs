//! Bytes: DNS, TCP, TLS, WebSocket.
