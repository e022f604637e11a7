"""Pictures of a comparison as inline SVG, each from plain values, and pure.

Colours and type come from the page's style sheet by class, so that dark, light and paper need no second picture. Text
in a picture has one size on a wide screen and on a phone; so each is drawn for a width, and the page has both.
"""
