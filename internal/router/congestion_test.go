package router

import (
	"testing"

	"allium/internal/data"
)

func TestLoadIsToldWithHysteresis(t *testing.T) {
	var c congestion
	const none, some, much = data.NotCongested, data.MediumCongestion, data.HighCongestion
	for i, step := range []struct {
		pressure float64
		want     data.Congestion
	}{
		{0, none}, {0.69, none}, {0.71, some}, {0.6, some}, {0.54, none}, {0.95, much},
		{0.8, much}, {0.74, some}, {0.56, some}, {0.5, none}, {0.6, none}, {0.89, some}, {0.3, none},
	} {
		for _, part := range []float64{step.pressure - 0.05, step.pressure + 0.05} {
			c.sample(part)
		}
		if got := c.judge(); got != step.want {
			t.Errorf("step %d: pressure %v is level %d, not %d", i, step.pressure, got, step.want)
		}
	}
	c.sample(1)
	c.judge()
	if got := c.judge(); got != much {
		t.Errorf("level %d without any sample", got)
	}
}
