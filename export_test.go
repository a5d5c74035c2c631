package allium

// JoiningOf is joining.
var JoiningOf = joining
