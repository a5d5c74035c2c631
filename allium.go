// Package allium is an I2P router.
package allium
