package data

import "bytes"

// AppendRouterInfo encodes the fields of a RouterInfo, up to its signature.
var AppendRouterInfo = appendRouterInfo

// CompareKeys is the order of keys in signed Mappings.
var CompareKeys = compareKeys[string]

// WithInner is an encrypted LeaseSet for everybody whose owner put a type and
// a set into it.
func WithInner(ls *EncryptedLeaseSet, b Blinding, typed []byte) *EncryptedLeaseSet {
	l := newLayers(b, ls.blindedKey, ls.published)
	return WithLayer1(ls, b, l.sealLayer([]byte{0}, typed, nil, labelLayer2))
}

// WithLayer1 is an encrypted LeaseSet whose owner put layer1 into it.
func WithLayer1(ls *EncryptedLeaseSet, b Blinding, layer1 []byte) *EncryptedLeaseSet {
	l := newLayers(b, ls.blindedKey, ls.published)
	return &EncryptedLeaseSet{
		lifetime:   ls.lifetime,
		blindedKey: ls.blindedKey,
		sealed:     l.sealLayer(nil, layer1, nil, labelLayer1),
	}
}

// ClientPlace is where the client with a pre-shared key stands among all, or
// -1.
func ClientPlace(ls *EncryptedLeaseSet, b Blinding, client [32]byte) int {
	l := newLayers(b, ls.blindedKey, ls.published)
	layer1, err := l.openLayer(ls.sealed, nil, labelLayer1)
	if err != nil {
		return -1
	}
	_, id := l.deriveClient((*[32]byte)(layer1[1:]), client[:], labelPSK)
	at := bytes.Index(layer1, id[:])
	if at < 0 {
		return -1
	}
	return (at - 1 - saltLen - 2) / (clientIDLen + cookieLen)
}
