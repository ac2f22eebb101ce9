package guest

import "unsafe"

// The host's functions for counting, secrets, clocks, connections and identity.

//go:wasmimport ergo_metric define
func hostDefineMetric(kind uint32, name unsafe.Pointer, length uint32, id unsafe.Pointer) uint32

//go:wasmimport ergo_metric add
func hostAddMetric(id uint32, delta int64) uint32

//go:wasmimport ergo_metric record
func hostRecordMetric(id uint32, value int64) uint32

//go:wasmimport ergo_metric value
func hostMetricValue(id uint32, value unsafe.Pointer) uint32

//go:wasmimport ergo_secret get
func hostGetSecret(name unsafe.Pointer, length uint32, buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport ergo_clock wall
func clockWall() int64

//go:wasmimport ergo_clock monotonic
func clockMonotonic() int64

//go:wasmimport ergo_clock began
func clockBegan() int64

//go:wasmimport ergo_clock remaining
func clockRemaining() int64

//go:wasmimport ergo_connection scheme
func hostGetClientScheme(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport ergo_identity subject
func hostGetSubject(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport ergo_identity method
func hostGetIdentifier(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport ergo_identity attribute
func hostGetAttribute(name unsafe.Pointer, length uint32, buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport ergo_identity attribute_names
func hostGetAttributeNames(buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport ergo_identify identify
func hostIdentify(subject unsafe.Pointer, length uint32) uint32

//go:wasmimport ergo_identify set_attribute
func hostSetAttribute(name unsafe.Pointer, nameLength uint32, value unsafe.Pointer, valueLength uint32) uint32

//go:wasmimport ergo_identify forget
func forget() uint32

func addMetric(id uint32, delta int64)    { hostAddMetric(id, delta) }
func recordMetric(id uint32, value int64) { hostRecordMetric(id, value) }

func defineMetric(kind uint32, name string) (id, status uint32) {
	nameAt, length := at(name)
	status = hostDefineMetric(kind, nameAt, length, unsafe.Pointer(&id))
	return id, status
}

func metricValue(id uint32) (value uint64) {
	hostMetricValue(id, unsafe.Pointer(&value))
	return value
}

func getSecret(name string, buf []byte) uint32 {
	nameAt, length := at(name)
	to, limit := room(buf)
	return hostGetSecret(nameAt, length, to, limit)
}

func getClientScheme(buf []byte) uint32   { return hostGetClientScheme(room(buf)) }
func getSubject(buf []byte) uint32        { return hostGetSubject(room(buf)) }
func getIdentifier(buf []byte) uint32     { return hostGetIdentifier(room(buf)) }
func getAttributeNames(buf []byte) uint64 { return hostGetAttributeNames(room(buf)) }

func getAttribute(name string, buf []byte) uint32 {
	nameAt, length := at(name)
	to, limit := room(buf)
	return hostGetAttribute(nameAt, length, to, limit)
}

func identify(subject string) uint32 { return hostIdentify(at(subject)) }

func setAttribute(name, value string) uint32 {
	nameAt, nameLength := at(name)
	valueAt, valueLength := at(value)
	return hostSetAttribute(nameAt, nameLength, valueAt, valueLength)
}
