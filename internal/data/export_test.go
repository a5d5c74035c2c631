package data

// AppendRouterInfo encodes the fields of a RouterInfo, up to its signature.
var AppendRouterInfo = appendRouterInfo

// CompareKeys is the order of keys in signed Mappings.
var CompareKeys = compareKeys[string]
