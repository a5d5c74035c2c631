package floodfill

import "allium/internal/data"

// Config says how to be a floodfill. A zero in a field stands for its default.
type Config struct {
	MinVersion string `default:"0.9.59" help:"The oldest router.version of floodfills to pass entries on to."`
}

// defaultMinVersion is MinVersion unless set.
const defaultMinVersion = 959

func (c Config) minVersion() int {
	if v, ok := data.ParseVersion(c.MinVersion); ok {
		return v
	}
	return defaultMinVersion
}
