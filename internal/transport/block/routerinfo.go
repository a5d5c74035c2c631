package block

import "fmt"

const floodFlag = 1

// RouterInfoSize is the size of an NTCP2 RouterInfo block with its header, in
// bytes.
func RouterInfoSize(routerInfo []byte) int { return HeaderSize + 1 + len(routerInfo) }

// AppendRouterInfo appends a RouterInfo block in the form of NTCP2: flags 1,
// RouterInfo not compressed. With flood a floodfill is asked to flood it. It
// appends nothing when the RouterInfo does not fit into a block.
func AppendRouterInfo(b, routerInfo []byte, flood bool) []byte {
	if 1+len(routerInfo) > MaxData {
		return b
	}
	b = appendHeader(b, TypeRouterInfo, 1+len(routerInfo))
	flags := byte(0)
	if flood {
		flags = floodFlag
	}
	b = append(b, flags)
	return append(b, routerInfo...)
}

// ParseRouterInfo reads the data of an NTCP2 RouterInfo block. The RouterInfo
// points into data. It fails with ErrMalformed.
func ParseRouterInfo(data []byte) (routerInfo []byte, flood bool, err error) {
	if len(data) < 2 {
		return nil, false, fmt.Errorf("block: RouterInfo: %w: %d bytes", ErrMalformed, len(data))
	}
	return data[1:], data[0]&floodFlag != 0, nil
}
