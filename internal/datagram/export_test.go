package datagram

// Signed1 is what a Datagram1 signs.
var Signed1 = signed1
