"""Building containers from the recipes in tag folders."""
