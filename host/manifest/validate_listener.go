package manifest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

func (v *validator) listeners() {
	if len(v.m.Listeners) == 0 {
		v.problem("listener", "there is none", `add [[listener]] with address = "127.0.0.1:8080"`)
	}
	names := make(map[string]bool)
	for i := range v.m.Listeners {
		l := &v.m.Listeners[i]
		path := place.Element("listener", i)
		if _, ok := v.hostPort(place.Key(path, "address"), l.Address); ok {
			v.overlap(path, i)
		}
		if l.Name != "" && names[l.Name] {
			v.problem(place.Key(path, "name"), fmt.Sprintf("%q names another listener too", l.Name), "give each listener a name of its own")
		}
		names[l.Name] = true
		if l.TLS != nil {
			v.listenerTLS(place.Key(path, "tls"), l.TLS)
		}
		if l.HTTP3 && l.TLS == nil {
			v.problem(place.Key(path, "http3"), "has no effect without tls: HTTP/3 is always encrypted", "add tls.certificates or remove http3")
		}
		if l.Link && (l.TLS == nil || l.TLS.ClientAuth != "required") && !v.failed[place.Key(path, "tls", "client_auth")] {
			v.problem(place.Key(path, "link"), "is open to clients without a certificate", `add tls with client_auth = "required" and client_ca`)
		}
	}
}

// overlap reports an address that an earlier listener or the admin API has.
func (v *validator) overlap(path string, i int) {
	address := v.m.Listeners[i].Address
	if sameSocket(address, v.m.Host.Admin) {
		v.problem(place.Key(path, "address"), address+" is the admin address too", "choose another port, here or for host.admin")
	}
	for j := range i {
		if sameSocket(address, v.m.Listeners[j].Address) {
			v.problem(place.Key(path, "address"), fmt.Sprintf("%s overlaps %s of listener[%d]", address, v.m.Listeners[j].Address, j), "choose another port or address")
		}
	}
}

// sameSocket reports whether two addresses cannot be listened on together: the
// same port, not 0, on the same host or on all hosts.
func sameSocket(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errors.Join(errA, errB) != nil || portA != portB || portA == "0" {
		return false
	}
	if hostA == hostB || hostA == "" || hostB == "" {
		return true
	}
	ipA, errA := netip.ParseAddr(hostA)
	ipB, errB := netip.ParseAddr(hostB)
	if errors.Join(errA, errB) != nil {
		return false // which addresses a name has is known when it is listened on
	}
	if ipA.Unmap() == ipB.Unmap() {
		return true
	}
	everywhere := func(wild, other netip.Addr) bool {
		return wild.IsUnspecified() && (wild.Is6() || other.Is4())
	}
	return everywhere(ipA, ipB) || everywhere(ipB, ipA)
}

func (v *validator) listenerTLS(path string, t *TLS) {
	for i, c := range t.Certificates {
		v.keyPair(place.Element(place.Key(path, "certificates"), i), c.Cert, c.Key)
	}
	at := place.Key(path, "client_ca")
	switch {
	case t.ClientAuth == "none" && t.ClientCA != "" && !v.failed[place.Key(path, "client_auth")]:
		v.problem(at, "has no effect: no client is asked for a certificate", `add client_auth = "required" or "optional"`)
	case t.ClientAuth != "none" && t.ClientCA == "":
		v.problem(at, "is missing: client certificates cannot be verified", "add the PEM file of the authorities that sign them")
	case t.ClientCA != "":
		v.authorities(at, t.ClientCA)
	}
}

// keyPair checks the files of a certificate and its key at cert and key below
// path.
func (v *validator) keyPair(path, cert, key string) {
	certPEM, certOK := v.pem(place.Key(path, "cert"), cert)
	keyPEM, keyOK := v.pem(place.Key(path, "key"), key)
	if !certOK || !keyOK {
		return
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		v.problem(place.Key(path, "cert"), "does not make a pair with its key: "+err.Error(), "name PEM files of a certificate chain and of its private key")
		return
	}
	v.validity(place.Key(path, "cert"), pair.Leaf)
}

// validity warns of a certificate that the other side will not take. It is no
// problem: a host has to start, and its certificate may be renewed while it runs.
func (v *validator) validity(path string, c *x509.Certificate) {
	switch now := time.Now(); {
	case now.After(c.NotAfter):
		v.warn(path, "has expired on "+c.NotAfter.UTC().Format(time.DateTime)+" UTC", "renew it: files that change are read anew")
	case now.Before(c.NotBefore):
		v.warn(path, "is not valid before "+c.NotBefore.UTC().Format(time.DateTime)+" UTC", "look at the clock of this machine")
	}
}

// authorities checks a PEM file of certificate authorities.
func (v *validator) authorities(path, file string) {
	text, ok := v.pem(path, file)
	if ok && !x509.NewCertPool().AppendCertsFromPEM(text) {
		v.problem(path, file+" holds no certificate", "name a PEM file of certificate authorities")
	}
}

// pem reads a file, if one is named.
func (v *validator) pem(path, file string) ([]byte, bool) {
	if file == "" {
		return nil, false
	}
	text, err := v.readFile(file)
	if err != nil {
		v.problem(path, "file cannot be read: "+cause(err), "name a file that this user may read")
		return nil, false
	}
	return text, true
}
