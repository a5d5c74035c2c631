package i2np

import "strconv"

// Type says what the body of a message is.
type Type uint8

// The types of messages. Types 224 to 254 are for experiments.
const (
	TypeDatabaseStore            Type = 1
	TypeDatabaseLookup           Type = 2
	TypeDatabaseSearchReply      Type = 3
	TypeDeliveryStatus           Type = 10
	TypeGarlic                   Type = 11
	TypeTunnelData               Type = 18
	TypeTunnelGateway            Type = 19
	TypeData                     Type = 20
	TypeTunnelBuild              Type = 21 // no longer in use
	TypeTunnelBuildReply         Type = 22 // no longer in use
	TypeVariableTunnelBuild      Type = 23 // deprecated
	TypeVariableTunnelBuildReply Type = 24 // deprecated
	TypeShortTunnelBuild         Type = 25
	TypeOutboundTunnelBuildReply Type = 26
)

// String gives the name the specification uses.
func (t Type) String() string {
	switch t {
	case TypeDatabaseStore:
		return "DatabaseStore"
	case TypeDatabaseLookup:
		return "DatabaseLookup"
	case TypeDatabaseSearchReply:
		return "DatabaseSearchReply"
	case TypeDeliveryStatus:
		return "DeliveryStatus"
	case TypeGarlic:
		return "Garlic"
	case TypeTunnelData:
		return "TunnelData"
	case TypeTunnelGateway:
		return "TunnelGateway"
	case TypeData:
		return "Data"
	case TypeTunnelBuild:
		return "TunnelBuild"
	case TypeTunnelBuildReply:
		return "TunnelBuildReply"
	case TypeVariableTunnelBuild:
		return "VariableTunnelBuild"
	case TypeVariableTunnelBuildReply:
		return "VariableTunnelBuildReply"
	case TypeShortTunnelBuild:
		return "ShortTunnelBuild"
	case TypeOutboundTunnelBuildReply:
		return "OutboundTunnelBuildReply"
	}
	return "type " + strconv.Itoa(int(t))
}
