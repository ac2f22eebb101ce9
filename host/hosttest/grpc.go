package hosttest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
)

// GRPC echoes each message of a call as it comes, which serves unary calls and
// streams alike, and ends with grpc-status 0 and the number of messages in the
// trailer x-messages. It speaks the wire format of gRPC over HTTP/2 alone.
func GRPC(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status, X-Messages")
	control := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	control.Flush()
	status, count := "0", 0
	for {
		message, err := ReadMessage(r.Body)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = WriteMessage(w, message)
		}
		if err != nil {
			status = "13"
			break
		}
		control.Flush()
		count++
	}
	w.Header().Set("Grpc-Status", status)
	w.Header().Set("X-Messages", fmt.Sprint(count))
}

// maxMessage bounds what ReadMessage accepts, as gRPC's own default does.
const maxMessage = 4 << 20

// ReadMessage reads one length-prefixed message of gRPC; io.EOF is its end.
func ReadMessage(r io.Reader) ([]byte, error) {
	var prefix [5]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(prefix[1:])
	if length > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes is too large", length)
	}
	message := make([]byte, length)
	if _, err := io.ReadFull(r, message); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return message, nil
}

// WriteMessage writes one length-prefixed message of gRPC.
func WriteMessage(w io.Writer, message []byte) error {
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	_, err := w.Write(append(frame, message...))
	return err
}
