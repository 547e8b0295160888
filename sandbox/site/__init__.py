"""The site: prove, drag and measure in any browser, as static files that request nothing from elsewhere."""
