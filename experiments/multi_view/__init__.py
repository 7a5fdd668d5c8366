"""Contrastive multiview coding with two, three, ... views: does the first view's embedding gain from the others?"""
