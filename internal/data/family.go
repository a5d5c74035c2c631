package data

import (
	"fmt"
	"strconv"
	"strings"

	"allium/internal/signature"
)

// MaxFamily is how long the name of a family may be, in bytes, that every
// router takes.
const MaxFamily = 32

// Family is the name of those who run the router, or empty: two routers of
// one family do not belong into one tunnel. Whoever wants can claim any name.
func (ri *RouterInfo) Family() string {
	name, _ := ri.options.Get(OptionFamily)
	return name
}

// VerifyFamily checks the signature of the family against the key that came
// with it. It returns nil when there is no family, and an error that wraps
// ErrSignature, ErrEncoding or ErrUnsupported when the claim does not hold or
// came without a key. Who owns the key is another question.
func (ri *RouterInfo) VerifyFamily() error {
	name := ri.Family()
	if name == "" {
		return nil
	}
	if err := ri.verifyFamily(name); err != nil {
		return fmt.Errorf("data: router info %s: family: %w", ri.Hash().Short(), err)
	}
	return nil
}

func (ri *RouterInfo) verifyFamily(name string) error {
	text, _ := ri.options.Get(OptionFamilyKey)
	code, encoded, _ := strings.Cut(text, ":")
	t, err := strconv.ParseUint(code, 10, 16)
	if err != nil {
		return fmt.Errorf("%w: key %.20q", ErrUnsupported, text)
	}
	key, err := DecodeBase64(encoded)
	if err != nil {
		return err
	}
	text, _ = ri.options.Get(OptionFamilySig)
	sig, err := DecodeBase64(text)
	if err != nil {
		return err
	}
	if !signature.Verify(signature.Type(t), key, familyMessage(name, ri.Hash()), sig) {
		return ErrSignature
	}
	return nil
}

// FamilyOptions are the options with which a router joins the family that key
// belongs to. i2pd knows only keys of type ECDSAP256.
func FamilyOptions(key signature.PrivateKey, name string, router Hash) []Pair {
	code := strconv.FormatUint(uint64(key.Type()), 10)
	return []Pair{
		{OptionFamily, name},
		{OptionFamilyKey, code + ":" + EncodeBase64(key.Public())},
		{OptionFamilySig, EncodeBase64(key.Sign(familyMessage(name, router)))},
	}
}

func familyMessage(name string, router Hash) []byte { return append([]byte(name), router[:]...) }
