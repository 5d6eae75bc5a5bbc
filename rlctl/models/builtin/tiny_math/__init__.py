"""`builtin:tiny-math`: a Llama of 984,576 weights that adds and subtracts, byte by byte, and forgets carries.

Made by `scripts/build_tiny_math.py`, seed 0, on the training problems of `builtin:arithmetic`: prompts such
as `47+38=`. Where no column carries or borrows it is right. Where one does, three of four sampled answers
forget every carry (75) and one in four is right (85): a wrong habit, for reinforcement learning to unlearn.
"""
