"""The page of `elmo demo`: what it computes, how it looks, and how it is served."""
