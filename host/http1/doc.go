// Package http1 is the host's own HTTP/1.1: the connections of clients, of which
// Server makes exchanges, and those to endpoints, on which a Trip is one request
// and its response. What is on them is read and written by package message,
// their bytes are moved by package socket.
package http1
