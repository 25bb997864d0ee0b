"""Files: text of structure factors, and pixels as image files hold them."""
