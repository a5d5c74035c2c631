package reseed

// Unpack is unpack.
var Unpack = unpack
