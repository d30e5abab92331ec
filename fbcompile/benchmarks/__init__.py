"""Single kernels: cases drawn from plan files, their exact answers, a program that runs and times them."""
